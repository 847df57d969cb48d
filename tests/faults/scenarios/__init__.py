"""One module for each place where faults strike; each function makes, watches and judges one."""
