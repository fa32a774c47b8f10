/** Names and addresses inside the enclosure; they are the same in every cluster, because each has a network of its own. */

export const NODE_NAME = 'tidemill-node';
export const NODE_ADDRESS = '10.245.0.1';
export const POD_RANGE = '10.244.0.0/24';
export const SERVICE_RANGE = '10.96.0.0/16';
export const DNS_ADDRESS = '10.96.0.10';
export const CLUSTER_DOMAIN = 'cluster.local';
export const PORTS = {
  apiServer: 6_443,
  etcd: 2_379,
  etcdPeer: 2_380,
  kubelet: 10_250,
  kubeletHealth: 10_248,
} as const;
/** What the sandbox of every pod runs. */
export const PAUSE_IMAGE = 'localhost/tidemill-pause:1';
