//! Measurements of the serial port and its console, with peers beside them in the same run.
