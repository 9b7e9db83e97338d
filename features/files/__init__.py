"""Where resources stand: files, compressed or not, as blocks of whole lines."""
