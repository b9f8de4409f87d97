//! One exclusive serial client and a boot log, for virtual machine monitors.
