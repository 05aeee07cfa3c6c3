"""What every stage does around its own work: settings in, outputs into place, resume, the leash."""
