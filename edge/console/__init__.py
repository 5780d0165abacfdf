"""What a command says to a person, and how it ends."""
