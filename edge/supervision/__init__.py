"""Whether the whole is fit to inspect: states, self-test, challenge part, heartbeat, watchdog, the camera's return."""
