"""Files on the device that outlive a run: written whole or not at all, by one writer, within the room there is."""
