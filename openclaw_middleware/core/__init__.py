"""One request decided without I/O: the core every driver and store builds on."""
