"""An embedded authoritative DNS server: for development, demonstrations, tests, and as a lease cell."""
