"""Every tuner on a tiny model: learns, changes what it says, merges, resumes to the byte."""
