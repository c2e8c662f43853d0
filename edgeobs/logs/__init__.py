"""Log lines → templates, series and signs."""
