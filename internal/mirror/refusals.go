package mirror

import (
	"errors"

	"nats-kvmirror/internal/jsapi"
)

// adviceOn is what helps where a server refuses a request, by its error code.
func adviceOn(err error) []Advice {
	var e *jsapi.Error
	if !errors.As(err, &e) {
		return nil
	}
	advice, ok := map[int]Advice{
		jsapi.CodeMaxBytesRequired: {Code: SetMaxBytes},
		jsapi.CodeNoStorage:        {Code: FreeStorage, Value: "file"},
		jsapi.CodeNoMemory:         {Code: FreeStorage, Value: "memory"},
		jsapi.CodeMaxStreams:       {Code: FewerStreams},
		jsapi.CodeNoPeers:          {Code: OtherPlacement},
		jsapi.CodeNoCluster:        {Code: OneReplica},
		jsapi.CodeNoLeader:         {Code: WaitForLeader},
		jsapi.CodePrefixOverlaps:   {Code: OtherPrefix},
		jsapi.CodeStreamOffline:    {Code: StartServers},
	}[e.Code]
	if !ok {
		return nil
	}
	return []Advice{advice}
}
