package kvcfg

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// TestEmptyNoticesEveryField sets each field alone, to nothing at all or to a
// zero value: a field that Empty forgets would be taken for "not said".
func TestEmptyNoticesEveryField(t *testing.T) {
	if !(Settings{}).Empty() {
		t.Error("no settings are not empty")
	}
	for i := range reflect.TypeFor[Settings]().NumField() {
		var s Settings
		field := reflect.ValueOf(&s).Elem().Field(i)
		switch field.Kind() {
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		case reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
		default:
			t.Fatalf("%s cannot be nil, so it cannot be \"not said\"", reflect.TypeFor[Settings]().Field(i).Name)
		}
		if s.Empty() {
			t.Errorf("settings with %s are empty", reflect.TypeFor[Settings]().Field(i).Name)
		}
	}
}

func TestValidateWishes(t *testing.T) {
	good := map[string]Settings{
		"nothing":          {},
		"zeros":            {TTL: new(time.Duration(0)), MaxValueSize: new(int64(0)), MaxBucketSize: new(int64(0)), Description: new("")},
		"smallest":         {History: new(int64(1)), Replicas: new(int64(1)), TTL: new(100 * time.Millisecond)},
		"largest":          {History: new(int64(64)), Replicas: new(int64(5)), MaxValueSize: new(int64(1<<31 - 1)), MaxBucketSize: new(int64(1<<63 - 1))},
		"file":             {Storage: new("file")},
		"memory":           {Storage: new("memory")},
		"metadata":         {Metadata: map[string]string{"_nats": "not reserved", "nats.": "", "a": ""}},
		"nothing in lists": {Tags: []string{}, Metadata: map[string]string{}},
	}
	for name, s := range good {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]Settings{
		"history 0":            {History: new(int64(0))},
		"history 65":           {History: new(int64(65))},
		"history -1":           {History: new(int64(-1))},
		"replicas 0":           {Replicas: new(int64(0))},
		"replicas 6":           {Replicas: new(int64(6))},
		"ttl below 100 ms":     {TTL: new(100*time.Millisecond - 1)},
		"ttl negative":         {TTL: new(-time.Second)},
		"value size 2 GiB":     {MaxValueSize: new(int64(1 << 31))},
		"value size negative":  {MaxValueSize: new(int64(-1))},
		"bucket size negative": {MaxBucketSize: new(int64(-1))},
		"storage empty":        {Storage: new("")},
		"storage File":         {Storage: new("File")},
		"empty tag":            {Tags: []string{"a", ""}},
		"empty metadata key":   {Metadata: map[string]string{"": "x"}},
		"reserved metadata":    {Metadata: map[string]string{"_nats.ver": "x"}},
	}
	for name, s := range bad {
		if err := s.Validate(); !errors.Is(err, ErrInvalidSetting) {
			t.Errorf("%s: error is %v, want one that is %v", name, err, ErrInvalidSetting)
		}
	}
}
