"""From a bare Jetson to an inspecting one: plan, stage, flash, provision, update, verify."""
