"""Moving in: settings made for other tools, and complete ones to begin with."""
