"""What is kept of every part: database, pictures, audit trail, recorded runs, and the commands that read them."""
