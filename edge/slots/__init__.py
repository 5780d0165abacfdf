"""Calibration slots: what `calibrate` leaves on the device, which one is in use, and who put it there."""
