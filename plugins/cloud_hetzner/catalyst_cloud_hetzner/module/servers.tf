resource "hcloud_placement_group" "spread" {
  for_each = local.groups
  name     = lookup(var.adopted, "hcloud_placement_group.spread[\"${each.key}\"]", "${var.cluster_name}-pg-${each.key}-${var.suffix}")
  type     = "spread"
  labels   = var.labels
}

resource "hcloud_ssh_key" "lock" {
  name       = "${var.cluster_name}-key-${var.suffix}"
  public_key = var.lock_key
  labels     = var.labels
}

resource "hcloud_server" "node" {
  for_each = local.servers

  name         = lookup(var.adopted, "hcloud_server.node[\"${each.key}\"]", each.key)
  server_type  = each.value.size
  image        = var.image
  location     = var.region
  labels       = merge(var.labels, { "openova.io/role" = each.value.role, "openova.io/pool" = each.value.pool })
  ssh_keys     = [hcloud_ssh_key.lock.id]
  firewall_ids = [hcloud_firewall.main.id]
  # One that ran before us stays where it stands: to move it between hosts it would have to be switched off.
  placement_group_id = contains(keys(var.adopted), "hcloud_server.node[\"${each.key}\"]") ? null : hcloud_placement_group.spread[each.value.group].id
  delete_protection  = var.protection
  rebuild_protection = var.protection

  user_data = templatefile("${path.module}/cloud-init.yaml.tftpl", {
    path      = path.module
    hostname  = each.key
    ssh_keys  = var.ssh_keys
    facts     = jsonencode(merge(local.facts, { role = each.value.role, pool = each.value.pool }))
    enrolment = try(var.enrolment[each.key], { endpoint = "", cluster = "", token = "", ca_pin = "" })
    binaries  = var.binaries[each.value.arch]
    labels    = each.value.labels
    taints    = each.value.taints
    upgrades  = var.unattended_upgrades
    fail2ban  = var.fail2ban
    # Not all at once: while one server restarts, the others keep the quorum.
    reboot = format("%02d:30", 2 + (each.value.number - 1) % 5)
  })

  public_net {
    ipv4_enabled = true
    ipv6_enabled = true
  }

  network {
    network_id = hcloud_network.main.id
    ip         = each.value.private_ip
    alias_ips  = []
  }

  # A server without its subnet fails now and then.
  depends_on = [hcloud_network_subnet.main]

  lifecycle {
    # They hold for the first boot: a new token, image or key never replaces a server.
    ignore_changes = [user_data, image, ssh_keys]
  }
}
