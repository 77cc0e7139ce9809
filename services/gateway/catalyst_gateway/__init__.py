"""The gateway: REST by transcoding, live streams, the console. It owns nothing but read models."""
