"""DVC's graph read in process: which stages would run and why; params.yaml edited as DVC does."""
