"""What perdure says about its work: loggers that know what they log for."""
