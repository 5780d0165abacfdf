"""From the trigger to the reject arm: which part is where, what must happen to it when, and the lines that do it."""
