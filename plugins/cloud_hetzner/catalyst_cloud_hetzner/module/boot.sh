#!/bin/bash
# First boot: ends at the first failure, waits for nothing without a limit, and tells of each stage.
set -euo pipefail
exec > >(tee -a /var/log/catalyst-boot.log) 2>&1
set -a; . /etc/catalyst/boot.env; set +a
agent=/usr/local/bin/catalyst-agent
facts=/etc/catalyst/sovereign.json
manifests=/var/lib/rancher/k3s/server/manifests
stage=start
fact() { jq -r "$1" "$facts"; }
tell() { [ ! -x "$agent" ] || "$agent" report --stage "$stage" --state "$1" --log /var/log/catalyst-boot.log --lines 100 || true; }
trap 'tell failed' ERR
begin() { stage=$1; echo "stage $stage"; tell begun; }
wait_for() { local limit=$1; shift; for _ in $(seq "$limit"); do "$@" >/dev/null 2>&1 && return 0; sleep 1; done; echo "not within $limit s: $*"; return 1; }
fetch() { curl -fsSL --retry 5 --max-time 300 -o "$3.new" "$1"; echo "$2  $3.new" | sha256sum -c -; chmod 0755 "$3.new"; mv "$3.new" "$3"; }
kubectl() { /usr/local/bin/k3s kubectl "$@"; }

begin binaries
fetch "$AGENT_URL" "$AGENT_SHA256" "$agent"
fetch "$K3S_URL_AT" "$K3S_SHA256" /usr/local/bin/k3s
# Rendered manifests of the CNI and of Flux, below `cni/` and `flux/`.
fetch "$MANIFESTS_URL" "$MANIFESTS_SHA256" /etc/catalyst/manifests.tar.gz
install -d -m 0700 /etc/catalyst/manifests
tar -xzf /etc/catalyst/manifests.tar.gz -C /etc/catalyst/manifests --no-same-owner

# Role, join tokens, registry credential and address of the tree. What this server is called only its cloud can say.
begin enrol
metadata=http://169.254.169.254/hetzner/v1/metadata
server_id=$(curl -fsS --retry 5 --max-time 30 "$metadata/instance-id")
EXTERNAL_IP=$(curl -fsS --retry 5 --max-time 30 "$metadata/public-ipv4")
wait_for 120 ip -4 route get "$(fact .api)"
NODE_IP=$(ip -j -4 route get "$(fact .api)" | jq -r '.[0].prefsrc')
timeout 700 "$agent" enrol --enrolment /etc/catalyst/enrolment.json --server-id "$server_id" --address "$NODE_IP" --into /etc/catalyst
rm -f /etc/catalyst/enrolment.json
. /etc/catalyst/enrolled.env

begin system
swapoff -a
sed -i '/\sswap\s/d' /etc/fstab
sysctl -q --system
systemctl try-restart ssh
[ ! -e /etc/fail2ban/jail.d/catalyst.conf ] || systemctl enable -q --now fail2ban

begin k3s
common=(--node-ip "$NODE_IP" --node-external-ip "$EXTERNAL_IP")
read -ra extra <<< "$NODE_LABELS $NODE_TAINTS"
if [ "$ROLE" = worker ]; then
  exec_line=(agent --server "https://$(fact .api):6443" --token-file /etc/catalyst/agent-token "${common[@]}" "${extra[@]}")
else
  # What has to agree on all servers stands in this one place.
  server=(--flannel-backend=none --disable-network-policy --disable=traefik --disable=servicelb --disable-kube-proxy
    --secrets-encryption --write-kubeconfig-mode=0600 --cluster-cidr "$(fact .pod_cidr)" --service-cidr "$(fact .service_cidr)"
    --agent-token-file /etc/catalyst/agent-token)
  while read -r san; do server+=(--tls-san "$san"); done < <(fact '.sans[]')
  if [ "$ROLE" = init ]; then join=(--cluster-init); else join=(--server "https://$JOIN_AT:6443"); fi
  exec_line=(server "${join[@]}" --token-file /etc/catalyst/server-token "${server[@]}" "${common[@]}" "${extra[@]}")
fi
{
  printf '[Unit]\nAfter=network-online.target\nWants=network-online.target\n[Service]\nType=notify\nKillMode=process\nDelegate=yes\n'
  printf 'LimitNOFILE=1048576\nTasksMax=infinity\nRestart=always\nRestartSec=5s\nExecStart=/usr/local/bin/k3s'
  printf ' %q' "${exec_line[@]}"
  printf '\n[Install]\nWantedBy=multi-user.target\n'
} > /etc/systemd/system/k3s.service
# The CNI is there before anything that needs it; the manifests are rendered, and their checksums were compared.
if [ "$ROLE" = init ]; then install -D -m 0600 -t "$manifests" /etc/catalyst/manifests/cni/*.yaml; fi
# Where images are had from, with the logins of mirrors; only this server's root can read it.
if [ -s /etc/catalyst/registries.yaml ]; then install -D -m 0600 /etc/catalyst/registries.yaml /etc/rancher/k3s/registries.yaml; fi
systemctl daemon-reload
timeout 600 systemctl enable -q --now k3s

if [ "$ROLE" != worker ]; then
  begin api
  wait_for 300 kubectl get --raw /readyz
fi
if [ "$ROLE" = init ]; then
  # The object has to be there; waiting for its pod would wait for a CNI that waits for it.
  begin storage
  wait_for 120 kubectl get storageclass -o name
  begin flux
  install -D -m 0600 -t "$manifests" /etc/catalyst/manifests/flux/*.yaml
  wait_for 300 kubectl get crd kustomizations.kustomize.toolkit.fluxcd.io
  begin tree
  kubectl apply -f /etc/catalyst/manifests/pull-secret.yaml
  kubectl apply -f /etc/catalyst/manifests/tree.yaml
fi

begin done
"$agent" install
systemctl daemon-reload
systemctl enable -q --now catalyst-agent
touch /etc/catalyst/booted
tell succeeded
