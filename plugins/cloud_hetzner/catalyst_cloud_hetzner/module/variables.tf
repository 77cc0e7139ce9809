variable "cluster_name" {
  type        = string
  description = "Beginning of every name."
}

variable "suffix" {
  type        = string
  description = "End of every name, so that no cluster takes another's resource."
}

variable "sovereign_fqdn" {
  type = string
}

variable "labels" {
  type        = map(string)
  description = "Ownership labels, on everything that bears a name."
  validation {
    condition     = length(var.labels) > 0
    error_message = "Without labels nothing could be told from what others made."
  }
}

variable "region" {
  type = string
}

variable "network_zone" {
  type = string
}

variable "node_cidr" {
  type = string
}

variable "subnet_cidr" {
  type = string
}

variable "pod_cidr" {
  type = string
}

variable "service_cidr" {
  type = string
}

variable "control_plane" {
  type = object({ size = string, arch = string, count = number })
  validation {
    condition     = contains([1, 3, 5], var.control_plane.count)
    error_message = "A quorum has 1, 3 or 5 members."
  }
  validation {
    condition     = can(regex("^(cx|cpx|ccx|cax)[0-9]+$", var.control_plane.size))
    error_message = "Not a size of this cloud."
  }
}

variable "worker_pools" {
  type = map(object({
    size   = string
    arch   = string
    count  = number
    labels = optional(map(string), {})
    taints = optional(list(string), [])
  }))
  validation {
    condition     = alltrue([for pool in var.worker_pools : pool.count >= 0 && pool.count <= 100])
    error_message = "A pool has 0 to 100 servers."
  }
}

variable "image" {
  type        = string
  description = "Name or snapshot id; pinned when a server is created."
}

variable "binaries" {
  description = "Of each architecture (amd64, arm64) what a server fetches at its first boot."
  type = map(object({
    k3s_version      = string
    k3s_url          = string
    k3s_sha256       = string
    agent_url        = string
    agent_sha256     = string
    manifests_url    = string
    manifests_sha256 = string
  }))
  validation {
    condition     = alltrue([for one in var.binaries : can(regex("^v\\d+\\.\\d+\\.\\d+\\+k3s\\d+$", one.k3s_version))])
    error_message = "A version of k3s reads v1.2.3+k3s1."
  }
  validation {
    condition     = alltrue([for one in var.binaries : can(regex("^[0-9a-f]{64}$", one.k3s_sha256)) && can(regex("^[0-9a-f]{64}$", one.agent_sha256)) && can(regex("^[0-9a-f]{64}$", one.manifests_sha256))])
    error_message = "Every binary is pinned by its SHA-256."
  }
}

variable "enrolment" {
  description = "Of each server that is still to be made, by name: where it dials, and its one-time token."
  type        = map(object({ endpoint = string, cluster = string, token = string, ca_pin = string }))
  sensitive   = true
  default     = {}
}

variable "lock_key" {
  type        = string
  description = "A public key whose private half nobody has: with one, no root password is mailed."
}

variable "ssh_keys" {
  type        = list(string)
  description = "Public keys of operators, put in place at the first boot."
  default     = []
}

variable "ssh_allowed_cidrs" {
  type    = list(string)
  default = []
}

variable "wireguard_peers" {
  type        = list(string)
  description = "Addresses of the Sovereign's other clusters."
  default     = []
}

variable "api" {
  type = object({ public = bool, private_ip = string, extra_sans = list(string) })
}

variable "load_balancer" {
  type = object({
    type       = string
    algorithm  = string
    private_ip = string
    listeners  = list(object({ port = number, protocol = string, target_port = number }))
  })
  validation {
    condition     = length(var.load_balancer.listeners) >= 1 && length(var.load_balancer.listeners) <= 50
    error_message = "A load balancer has 1 to 50 listeners."
  }
  validation {
    condition     = contains(["round_robin", "least_connections"], var.load_balancer.algorithm)
    error_message = "The algorithm is round_robin or least_connections."
  }
}

variable "adopted" {
  description = "Names of what was there before and was given to this cluster, by address: it keeps them."
  type        = map(string)
  default     = {}
}

variable "protection" {
  type        = bool
  description = "Whether servers, network and load balancers are protected against deletion."
}

variable "unattended_upgrades" {
  type    = bool
  default = true
}

variable "fail2ban" {
  type    = bool
  default = true
}

variable "registry_mirrors" {
  type    = list(string)
  default = []
}

variable "fenced" {
  type        = bool
  description = "Servers out of the load balancers, and nothing let in."
}
