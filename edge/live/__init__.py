"""What a running inspection shows of itself over Unix sockets, and the processes beside it that pass it on."""
