terraform {
  required_version = ">= 1.7"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.49"
    }
  }
}

# Token and endpoint come by the environment, so that they are in neither plan nor state.
provider "hcloud" {
  poll_interval = "500ms"
}
