//! The main rows as a picture for the README.

use std::path::Path;

use plotters::prelude::*;

use crate::measure::Measured;

/// The lower end of the scale: a row with a smaller value is not drawn.
const LEAST: f64 = 0.2;

/// Draws ours beside the peer on a logarithmic scale of ns/byte. The rows of KVM, measured in
/// bytes/s, are converted.
///
/// # Errors
///
/// If the file cannot be drawn.
pub fn svg(path: &Path, rows: &[Measured]) -> Result<(), Box<dyn std::error::Error>> {
    let bars: Vec<(&str, f64, f64, &str)> = rows
        .iter()
        .rev()
        .filter_map(|row| {
            let (ours, peer) = (row.ours?, row.peer?);
            let (ours, peer) = match row.unit.as_str() {
                "ns/byte" => (ours, peer),
                "bytes/s" => (1e9 / ours, 1e9 / peer),
                _ => return None,
            };
            Some((row.row.as_str(), ours, peer, row.peer_is.as_str()))
        })
        .filter(|bar| bar.1.min(bar.2) >= LEAST)
        .collect();
    if bars.is_empty() {
        return Err(
            "no row with a peer in ns/byte or bytes/s was measured: name some, or all".into(),
        );
    }
    let highest = bars.iter().map(|bar| bar.1.max(bar.2)).fold(10.0, f64::max) * 100.0;
    let height = 90 + 46 * u32::try_from(bars.len())?;
    let root = SVGBackend::new(path, (900, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            "ns per byte on the vCPU thread, for kvm-* exits included (log scale, shorter is better)",
            ("sans-serif", 18),
        )
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(130)
        .build_cartesian_2d((LEAST..highest).log_scale(), 0..bars.len() * 3)?;
    let names: Vec<String> = bars.iter().map(|bar| bar.0.to_owned()).collect();
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len() * 3)
        .y_label_formatter(&|y| {
            if y % 3 == 1 {
                names.get(y / 3).cloned().unwrap_or_default()
            } else {
                String::new()
            }
        })
        .x_label_formatter(&|x| format!("{x}"))
        .draw()?;
    for (at, (_, ours, peer, peer_is)) in bars.iter().enumerate() {
        let base = at * 3;
        chart.draw_series([
            Rectangle::new(
                [(LEAST, base + 1), (*peer, base + 2)],
                RGBColor(190, 190, 190).filled(),
            ),
            Rectangle::new(
                [(LEAST, base), (*ours, base + 1)],
                RGBColor(30, 110, 180).filled(),
            ),
        ])?;
        let style = ("sans-serif", 13).into_font();
        chart.draw_series([
            Text::new(
                format!("ours {ours:.1}"),
                (*ours * 1.1, base + 1),
                style.clone(),
            ),
            Text::new(
                format!("{peer_is} {peer:.1}"),
                (*peer * 1.1, base + 2),
                style,
            ),
        ])?;
    }
    root.present()?;
    Ok(())
}
