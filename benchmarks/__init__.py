"""How fast, as ratios against a baseline that runs in the same call. Run them: ``make bench``."""
