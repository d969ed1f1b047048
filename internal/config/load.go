package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// EnvPrefix starts the names of environment variables that hold settings: the
// setting storage.min_free is DECUBE_STORAGE_MIN_FREE. Lists are separated by commas.
const EnvPrefix = "DECUBE_"

// Source says where settings come from.
type Source struct {
	File    string   // path of the YAML file; one that does not exist is empty
	Environ []string // as of os.Environ
	Flags   []Flag   // flags that were given
}

// Flag is a setting given on the command line.
type Flag struct {
	Name  string // such as "listen"
	Key   string // such as "p2p.listen"
	Value any
}

// Origins tells for each setting that is not a default where it was set: a file
// and line, an environment variable or a flag.
type Origins map[string]string

// Load fills dst, a pointer to a struct that holds the defaults. Everything that
// is wrong is reported at once, as Problems; the error wraps ErrInvalid then.
func Load(dst any, src Source) (Origins, error) {
	return load(schemaOf("", reflect.ValueOf(dst)), src, true)
}

// LoadSection fills dst from one section, such as "storage", and leaves the rest
// of the file to whoever knows it.
func LoadSection(section string, dst any, src Source) (Origins, error) {
	return load(schemaOf(section, reflect.ValueOf(dst)), src, false)
}

// Validate calls the Validate methods at every level of a settings struct, given
// by pointer.
func Validate(settings any) error {
	return errors.Join(validate(schemaOf("", reflect.ValueOf(settings)), nil)...)
}

func load(schema *node, src Source, whole bool) (Origins, error) {
	origins := make(Origins)
	layers := koanf.New(".")
	problems, err := loadFile(layers, schema, src.File, whole, origins)
	if err != nil {
		return nil, err
	}
	if err := loadEnv(layers, schema, src.Environ, origins); err != nil {
		return nil, err
	}
	if err := loadFlags(layers, schema, src.Flags, origins); err != nil {
		return nil, err
	}
	problems = append(problems, decode(layers, schema, origins)...)
	if len(problems) == 0 {
		problems = validate(schema, origins)
	}
	return origins, errors.Join(problems...)
}

func loadFile(layers *koanf.Koanf, schema *node, path string, whole bool, origins Origins) ([]error, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	problems, err := locate(schema, path, data, whole, origins)
	if err != nil {
		return nil, err
	}
	values, err := yaml.Parser().Unmarshal(data)
	if err != nil {
		return nil, &Problem{Origin: path, Rule: err.Error()}
	}
	if err := layers.Load(confmap.Provider(values, ""), nil); err != nil {
		return nil, fmt.Errorf("reading settings from %s: %w", path, err)
	}
	return problems, nil
}

func loadEnv(layers *koanf.Koanf, schema *node, environ []string, origins Origins) error {
	keys := make(map[string]string)
	for key := range schema.leaves() {
		keys[envName(key)] = key
	}
	provider := env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, known := keys[name]
			if !known {
				return "", nil
			}
			origins[key] = name
			return key, value
		},
	})
	if err := layers.Load(provider, nil); err != nil {
		return fmt.Errorf("reading settings from the environment: %w", err)
	}
	return nil
}

func loadFlags(layers *koanf.Koanf, schema *node, flags []Flag, origins Origins) error {
	leaves := schema.leaves()
	values := make(map[string]any)
	for _, f := range flags {
		if leaves[f.Key] == nil {
			return fmt.Errorf("config: flag --%s is for %q, which is no setting", f.Name, f.Key)
		}
		values[f.Key] = f.Value
		origins[f.Key] = "--" + f.Name
	}
	if err := layers.Load(confmap.Provider(values, "."), nil); err != nil {
		return fmt.Errorf("reading settings from flags: %w", err)
	}
	return nil
}

// envName returns the environment variable of a setting.
func envName(key string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// decode moves what the layers hold into the fields of the schema.
func decode(layers *koanf.Koanf, schema *node, origins Origins) (problems []error) {
	schema.each(func(n *node) {
		if !n.leaf() || !layers.Exists(n.key) {
			return
		}
		value := layers.Get(n.key)
		if value == nil { // "key:" without a value leaves the default
			delete(origins, n.key)
			return
		}
		fresh := reflect.New(n.value.Type())
		text := strings.HasPrefix(origins[n.key], EnvPrefix)
		err := layers.UnmarshalWithConf(n.key, fresh.Interface(), koanf.UnmarshalConf{
			DecoderConfig: decoder(fresh.Interface(), text),
		})
		if err != nil {
			problems = append(problems, &Problem{
				Origin: origins[n.key], Key: n.key, Value: shown(value), Rule: "want " + n.expects(),
			})
			return
		}
		n.value.Set(fresh.Elem())
	})
	return problems
}

// decoder converts without guessing, except that an environment variable, which
// is always text, may become a number, a boolean or a list.
func decoder(result any, text bool) *mapstructure.DecoderConfig {
	hooks := []mapstructure.DecodeHookFunc{
		mapstructure.TextUnmarshallerHookFunc(),
		mapstructure.StringToTimeDurationHookFunc(),
		sizeHook,
		refuseBareDuration,
	}
	if text {
		hooks = append(hooks, splitHook)
	}
	return &mapstructure.DecoderConfig{
		Result:           result,
		WeaklyTypedInput: text,
		DecodeHook:       mapstructure.ComposeDecodeHookFunc(hooks...),
	}
}

// sizeHook reads "512MiB" where the field is an int64.
func sizeHook(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || to != sizeType {
		return data, nil
	}
	return ParseSize(text)
}

var errNoUnit = errors.New("a duration needs a unit")

// refuseBareDuration keeps "timeout: 5" from meaning five nanoseconds.
func refuseBareDuration(from, to reflect.Type, data any) (any, error) {
	if to != durationType || from == durationType || from.Kind() == reflect.String {
		return data, nil
	}
	if v := reflect.ValueOf(data); v.IsZero() {
		return data, nil
	}
	return nil, errNoUnit
}

// splitHook turns "a, b" into a list; an empty text is an empty list.
func splitHook(_, to reflect.Type, data any) (any, error) {
	text, ok := data.(string)
	if !ok || to.Kind() != reflect.Slice {
		return data, nil
	}
	list := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, nil
}
