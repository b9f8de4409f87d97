//! `completions`: what a shell needs to complete command lines.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::output::{Stop, print};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
bash: vmcon completions bash > ~/.local/share/bash-completion/completions/vmcon
zsh:  vmcon completions zsh > ~/.zfunc/_vmcon     (with ~/.zfunc in $fpath)
fish: vmcon completions fish > ~/.config/fish/completions/vmcon.fish")]
pub(crate) struct Arguments {
    /// For which shell
    shell: Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Stop> {
    let mut script = Vec::new();
    let mut command = crate::arguments::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "vmcon", &mut script);
    print(String::from_utf8_lossy(&script))
}
