"""What a program asks of a store: start workflows, signal them, wait for them, look at them."""
