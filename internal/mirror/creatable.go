package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/nats-io/nuid"

	"nats-kvmirror/internal/jsapi"
	"nats-kvmirror/internal/kvcfg"
	"nats-kvmirror/internal/stream"
)

// maxProofAge is how old the proof that a mirror can be created may be when it is
// deleted.
const maxProofAge = 5 * time.Second

// verifyCreatable makes sure that the new mirror can be created, and can hold what it
// has to, before the old one is deleted. That it may be deleted cannot be tried: a
// denial changes nothing.
func (p *RecreatePlan) verifyCreatable(ctx context.Context) error {
	origin := p.origin.info
	if err := kvcfg.CheckRecreatable(p.plan.Config, origin.Config, origin.State); err != nil {
		return about(p.Bucket, err)
	}
	is := p.before.Config.Raw()
	is["max_bytes"] = p.plan.Config["max_bytes"] // which the account may require
	if err := p.client.own.MayCreate(ctx, is); err != nil {
		return p.notCreatable(ctx, err)
	}
	planned, err := p.plan.Config.Config()
	if err != nil {
		return AsError(err)
	}
	var room jsapi.Room
	if account, err := p.client.own.Account(ctx); err == nil { // else it is tried
		room = account.Room(planned.Storage, planned.Replicas)
	}
	if err := p.checkRoom(planned, room); err != nil {
		return p.notCreatable(ctx, err)
	}
	if err := p.probe(ctx, planned, room); err != nil {
		return p.notCreatable(ctx, err)
	}
	p.provedAt = time.Now()
	return nil
}

// notCreatable is why nothing is deleted.
func (p *RecreatePlan) notCreatable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return AsError(ctx.Err())
	}
	e := *AsError(err).wrap("nothing was deleted, because it is not known that bucket %q can be created again", p.Bucket)
	if e.Kind != ErrDenied && e.Kind != ErrTimeout && e.Kind != ErrDisconnected {
		e.Kind = ErrRefused
	}
	return &e
}

// checkRoom makes sure that the account has room for the new mirror in place of the
// old one.
func (p *RecreatePlan) checkRoom(planned stream.Config, room jsapi.Room) error {
	before := p.before.Config
	is, replicas := p.before.State.Bytes, uint64(max(planned.Replicas, 1))
	needs := is
	if !planned.Filtered() && !planned.Mirror.Begins() && planned.MaxMsgsPerSubject == p.origin.info.Config.MaxMsgsPerSubject {
		needs = p.origin.info.State.Bytes
	}
	frees := is * uint64(max(before.Replicas, 1))
	if room.Tiered && before.Replicas != planned.Replicas {
		frees = 0 // it is counted elsewhere
	}
	used := room.Used - min(frees, room.Used)
	switch {
	case room.MaxBytesRequired && planned.MaxBytes <= 0:
		return fail(ErrRefused, "the account requires a maximum bucket size, and the mirror has none").advise(Advice{Code: SetMaxBytes})
	case room.MaxStreamBytes > 0 && planned.MaxBytes > room.MaxStreamBytes:
		return fail(ErrRefused, "the account allows a maximum bucket size of %d bytes, and the mirror has %d", room.MaxStreamBytes, planned.MaxBytes)
	case room.MaxStreams > 0 && room.Streams > room.MaxStreams:
		return fail(ErrRefused, "the account has %d streams and may have %d", room.Streams, room.MaxStreams)
	case room.MaxBytes > 0 && used+needs*replicas > room.MaxBytes:
		return fail(ErrRefused, "the mirror needs %d bytes, and without it the account uses %d of %d", needs*replicas, used, room.MaxBytes)
	}
	return nil
}

// probe creates a scratch mirror with the settings of the new one and deletes it again.
// One of an origin behind another prefix has to connect to it.
func (p *RecreatePlan) probe(ctx context.Context, planned stream.Config, room jsapi.Room) error {
	scratch := fmt.Sprintf("%.200s-probe-%s", p.Bucket, nuid.Next()) // longer names have no room for more
	config, err := kvcfg.Probe(p.plan.Config, kvcfg.StreamName(scratch), p.origin.info.State.LastSeq)
	if err != nil {
		return err
	}
	external := planned.Mirror.External != nil
	err = p.probeWith(ctx, config, external)
	if jsapi.LacksRoom(err) && planned.MaxBytes > 0 && p.placementStays(planned) {
		// What the old mirror reserves is free when it is gone.
		config.Set("max_bytes", max(planned.MaxBytes-max(p.before.Config.MaxBytes, 0), 1))
		err = p.probeWith(ctx, config, external)
	}
	// What is known without it suffices where the servers, the origin and what is
	// reserved stay the same.
	stays := p.originStays() && p.placementStays(planned) && planned.MaxBytes <= p.before.Config.MaxBytes
	if err == nil || planned.Placement != nil || planned.Replicas > 1 || !stays {
		return err
	}
	switch {
	case errors.Is(err, jsapi.ErrDenied):
		p.unproved("the user may create and delete only the mirror itself")
	case jsapi.LacksRoom(err) && room.MaxStreams > 0 && room.Streams == room.MaxStreams:
		p.unproved("the account has as many streams as it may have")
	case jsapi.LacksRoom(err) && planned.MaxBytes > 0 && room.MaxBytes > 0 && room.Reserved == room.MaxBytes:
		p.unproved("the account's streams reserve all that it may have")
	default:
		return err
	}
	return nil
}

// originStays says that the new mirror reads what the old one reads.
func (p *RecreatePlan) originStays() bool {
	was, err := kvcfg.OriginOf(p.before.Config)
	return err == nil && was == p.origin.origin
}

// placementStays says that the new mirror is to be where the old one is.
func (p *RecreatePlan) placementStays(planned stream.Config) bool {
	before := p.before.Config
	return reflect.DeepEqual(planned.Placement, before.Placement) && max(planned.Replicas, 1) == max(before.Replicas, 1)
}

// unproved warns that no scratch mirror was created.
func (p *RecreatePlan) unproved(why string) {
	for _, w := range p.Warnings {
		if w.Code == "not-tried" {
			return
		}
	}
	p.Warnings.add("not-tried", "that the mirror can be created again was not tried with a scratch mirror: %s", why)
}

// probeWith creates a scratch mirror, waits until it is connected where it can be, and
// deletes it, whatever comes.
func (p *RecreatePlan) probeWith(ctx context.Context, config stream.Raw, connects bool) error {
	known, err := config.Config()
	if err != nil {
		return err
	}
	w := jsapi.Write{Config: config}
	if known.AllowMsgTTL {
		w.Level = stream.TTLAPILevel
	}
	// Nothing is to be deleted yet: what could not be deleted is not created.
	if err := p.client.own.Delete(ctx, known.Name); err != nil {
		return err
	}
	created, err := p.client.own.Create(ctx, w)
	if created == nil && !errors.Is(err, jsapi.ErrOutcomeUnknown) {
		return err
	}
	defer func() {
		if err := p.client.own.Delete(context.WithoutCancel(ctx), known.Name); err != nil {
			p.Warnings.add("scratch-left", "the scratch mirror, stream %s, could not be deleted: %v", known.Name, err)
		}
	}()
	if err != nil || !connects {
		return err
	}
	return p.connects(ctx, created)
}

// connects waits until a scratch mirror is connected to its origin.
func (p *RecreatePlan) connects(ctx context.Context, scratch *stream.Info) error {
	start, name := time.Now(), scratch.Config.Name
	err := jsapi.Poll(ctx, p.client.waits.CopyPoll, func() (bool, error) {
		if isConnected(scratch) {
			return true, nil
		}
		if time.Since(start) > p.client.conn.Timeout() {
			return false, errGivenUp
		}
		again, err := p.client.own.Stream(ctx, name)
		if err == nil {
			scratch = again
		}
		return false, nil
	})
	switch {
	case !errors.Is(err, errGivenUp):
		return err
	case scratch.Mirror != nil && scratch.Mirror.Error != nil:
		return fmt.Errorf("a scratch mirror with its settings says: %s", scratch.Mirror.Error.Description)
	}
	return fail(ErrRefused, "a scratch mirror with its settings was not connected to the origin, %v, within %v", p.origin.origin, p.client.conn.Timeout()).
		advise(Advice{Code: CheckLink})
}

// gone makes the report that of a bucket that was deleted.
func (p *RecreatePlan) gone() {
	p.Info, p.State, p.Link, p.Content, p.PerKeyTTL, p.Config = nil, nil, nil, nil, nil, nil
}
