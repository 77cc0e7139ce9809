"""What stops a region's writers beside the database's own fencer: dead man's file and gateway; and all of them at once."""
