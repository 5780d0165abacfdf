"""The operator page: a web server of its own beside the inspection, for a panel at the line, a phone or an office."""
