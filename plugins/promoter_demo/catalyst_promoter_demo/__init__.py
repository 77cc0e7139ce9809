"""A demo application whose database is moved between regions, and the promoter that moves it."""
