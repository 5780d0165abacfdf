"""Bundles on a device: who signed them, and which of two is in use."""
