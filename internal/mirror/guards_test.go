package mirror

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nats-kvmirror/internal/kvcfg"
)

// Below an origin whose messages a mirror takes away, none is made.
func TestAddRefusesRetention(t *testing.T) {
	t.Parallel()
	l := newLostLab(t, 0)
	for _, retention := range []string{"workqueue", "interest"} {
		l.origin(t, retention, map[string]any{"retention": retention})
		request := AddRequest{Bucket: "w", Origin: kvcfg.Origin{Bucket: retention, APIPrefix: "$JS.hub.API"}}
		if _, err := l.client.PlanAdd(t.Context(), request); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), retention) {
			t.Errorf("%s: %v", retention, err)
		}
		if _, err := l.client.PlanRecreate(t.Context(), RecreateRequest{Bucket: "m", Origin: OriginChange{Bucket: &retention}}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", retention, err)
		}
	}
	request := AddRequest{Bucket: "w", Origin: kvcfg.Origin{Bucket: "demo", APIPrefix: "$JS.hub.API"}}
	request.Settings.RePublish = &kvcfg.RePublishSettings{Destination: "$KV.demo.>"}
	if _, err := l.client.PlanAdd(t.Context(), request); !errors.Is(err, ErrInvalid) {
		t.Errorf("republish: %v", err)
	}
}

// A field that this program does not know, changed between plan and apply, is a
// conflict for every command.
func TestUnknownFieldChanged(t *testing.T) {
	t.Parallel()
	l := newLostLab(t, 2)
	edited, repaired, promoted, recreated, pruned := func(ctx context.Context) error {
		plan, err := l.client.PlanEdit(ctx, EditRequest{Bucket: "m", Settings: kvcfg.Settings{Description: new("x")}})
		return l.changed(t, err, func() error { _, err := plan.Apply(ctx); return err })
	}, func(ctx context.Context) error {
		plan, err := l.client.PlanRepair(ctx, RepairRequest{Buckets: []string{"m"}})
		return l.changed(t, err, func() error { _, err := plan.Apply(ctx); return err })
	}, func(ctx context.Context) error {
		plan, err := l.client.PlanPromote(ctx, PromoteRequest{Bucket: "m", OriginAlive: true})
		if err == nil || plan.Action == WouldPromote {
			return l.changed(t, err, func() error { _, err := plan.Apply(ctx); return err })
		}
		return err
	}, func(ctx context.Context) error {
		plan, err := l.client.PlanRecreate(ctx, RecreateRequest{Bucket: "m", AcceptLoss: 9, BackupDir: t.TempDir()})
		return l.changed(t, err, func() error { _, err := plan.Apply(ctx); return err })
	}, func(ctx context.Context) error {
		plan, err := l.client.PlanPrune(ctx, PruneRequest{Buckets: []string{"m"}, Gone: true})
		return l.changed(t, err, func() error { r, err := plan.Apply(ctx); return errors.Join(r.Mirrors[0].Err, err) })
	}
	if err := edited(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("edit: %v", err)
	}
	if err := recreated(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("recreate: %v", err)
	}
	api(t, l.hub, "STREAM.PURGE.KV_demo", map[string]any{"filter": "$KV.demo.k1"}, nil)
	if err := pruned(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("prune: %v", err)
	}
	l.again(t, map[string]any{"deny_delete": false})
	l.isAt(t, 1)
	if err := repaired(t.Context()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("repair: %v", err)
	}
	l.again(t, map[string]any{"mirror": map[string]any{"name": "KV_m", "external": map[string]any{"api": "$JS.hub.API"}}})
	if err := promoted(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("promote: %v", err)
	}
}

// changed turns around a field that no type of this program has, and applies then.
func (l *lostLab) changed(t *testing.T, planErr error, apply func() error) error {
	t.Helper()
	if planErr != nil {
		t.Fatal(planErr)
	}
	config := map[string]any{}
	for field, value := range l.is(t).Config {
		config[field] = value
	}
	config["no_ack"] = string(l.is(t).Config["no_ack"]) != "true"
	api(t, l.leaf, "STREAM.UPDATE.KV_m", config, nil)
	return apply()
}
