"""Billing: who owes what, exactly. Owns ledger, credit, vouchers, quotes and orders; owns no prices."""
