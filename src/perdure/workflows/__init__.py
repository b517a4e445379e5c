"""What workflow code imports: the context, futures, signals, channels and select."""
