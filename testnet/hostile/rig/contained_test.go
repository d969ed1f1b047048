package rig

import "testing"

func TestLeadsOut(t *testing.T) {
	const (
		head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
		own  = "eth0\t0000000B\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
		out  = "eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	)
	for table, want := range map[string]bool{"": false, head: false, head + own: false, head + own + out: true} {
		if got := leadsOut(table, 1, 7, "00000000"); got != want {
			t.Errorf("%q: %v", table, got)
		}
	}
	const (
		zero = "00000000000000000000000000000000"
		tail = " " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200 "
	)
	for table, want := range map[string]bool{
		zero + " 00" + tail + "lo\n": false, zero + " 00" + tail + "eth0\n": true,
		"2e00dec1000000000000000000000000 40" + tail + "eth0\n": false, "ff000000000000000000000000000000 08" + tail + "eth0\n": false,
	} {
		if got := leadsOut(table, 0, 1, "00"); got != want {
			t.Errorf("%q: %v", table, got)
		}
	}
}
