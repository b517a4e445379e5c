"""Read models: what each page shows, as plain data. Every function reads through a Look and changes nothing."""
