"""A registrar without an API: a person enters what is listed, the parent's servers tell when it is done."""
