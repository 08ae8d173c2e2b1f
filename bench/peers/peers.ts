import { direct } from './direct.ts';
import { haproxy } from './haproxy.ts';
import { mitmproxy } from './mitmproxy.ts';
import type { Peer } from './peer.ts';
import { proxyChain } from './proxy-chain.ts';
import { sekisho } from './sekisho.ts';
import { squid } from './squid.ts';
import { tinyproxy } from './tinyproxy.ts';

export const OURS: Peer = sekisho(1);

/** Whom it is measured against. */
export const PEERS: readonly Peer[] = [squid, tinyproxy, proxyChain, mitmproxy, haproxy, direct];
