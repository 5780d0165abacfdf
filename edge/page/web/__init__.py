"""What answers browsers; the only modules that need the extra ``hmi``."""
