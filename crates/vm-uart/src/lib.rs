//! A 16550A UART for virtual machine monitors.
