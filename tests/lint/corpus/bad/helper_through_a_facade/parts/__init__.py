from .clocks import now as current_time
