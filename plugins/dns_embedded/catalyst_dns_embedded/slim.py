"""Imported before anything else of this process: leaves out what dnspython would load and a server never uses."""

import dns._features

# Tables for international names, 3 MB: names arrive here in their ASCII form. `force` is dnspython's own switch.
dns._features.force("idna", False)
