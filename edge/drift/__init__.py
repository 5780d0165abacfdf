"""Whether the parts of late are still like those of the calibration."""
