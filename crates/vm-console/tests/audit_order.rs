//! What happened between two turns of the service is audited in the order in which it happened.

mod support;

use support::Rig;
use vm_console::audit::Audited;
use vm_console::service::{PolledService, Service};
use vm_console::session::EndReason;
use vm_console::{ConsoleConfig, LogConfig};

/// Lets the service do all that it can do now.
fn settle(service: &mut PolledService) {
    for _ in 0..1000 {
        if service.dispatch().unwrap() == 0 {
            return;
        }
    }
    panic!("the service finds no end");
}

#[test]
fn a_reset_before_a_power_off_comes_first() {
    let (service, handle) = Service::new().unwrap();
    let mut service = service.polled().unwrap();
    let rig = Rig::in_service(handle, ConsoleConfig::named("vm"), LogConfig::default());
    settle(&mut service);
    let _client = rig.connect("raw");
    settle(&mut service);
    let audit = rig.service.audit();
    assert!(matches!(
        audit.try_recv().unwrap().what,
        Audited::Attached { .. }
    ));
    let audited = |service: &mut PolledService| {
        settle(service);
        let whole = audit.try_iter().map(|event| match event.what {
            Audited::Ended { why, .. } => format!("ended: {why:?}"),
            other => format!("{other:?}"),
        });
        whole.collect::<Vec<_>>()
    };

    rig.console.reset();
    rig.console.power_off();
    let ended = format!("ended: {:?}", EndReason::PoweredOff);
    assert_eq!(
        audited(&mut service),
        ["Boot { epoch: 2 }", "PoweredOff", &ended]
    );
    rig.console.power_on();
    rig.console.reset();
    rig.console.power_off();
    rig.console.power_on();
    assert_eq!(
        audited(&mut service),
        [
            "PoweredOn",
            "Boot { epoch: 4 }",
            "PoweredOff",
            "PoweredOn",
            "Boot { epoch: 5 }"
        ]
    );
}

#[test]
fn input_that_a_former_holder_left_is_discarded_before_the_next_session() {
    let rig = Rig::new();
    let mut first = rig.attach("raw");
    // More than the port takes by itself.
    first.send(&[b'.'; 100]);
    support::wait_until("it is typed", || rig.counters().input == 100);
    drop(first);
    rig.wait_until_free();
    let left = rig.counters().input - rig.counters().input_taken;
    assert!(left > 0);
    let _second = rig.attach("raw");
    let discarded = rig.audited("the input is discarded", |what| {
        matches!(what, Audited::InputDiscarded { .. })
    });
    assert_eq!(discarded.what, Audited::InputDiscarded { characters: left });
    rig.audited("the next session", |what| {
        matches!(what, Audited::Attached { .. })
    });
}
