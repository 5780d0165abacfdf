"""Pictures for training and calibration, taken at the line: `edge-capture`, and the camera shared with an inspection."""
