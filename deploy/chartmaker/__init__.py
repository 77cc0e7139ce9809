"""What the chart and the images are made of, told by the daemons themselves."""
