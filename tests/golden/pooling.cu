// pooling
typedef Axis<1, Spread<TW_SPREAD_D>, TW_STEP_D, TW_EVEN_D> Axis_D;
typedef Axis<2, Spread<TW_SPREAD_t>, TW_STEP_t, TW_EVEN_t> Axis_t;
typedef Axes<Axis_D> Axes_D;
typedef Axes<Axis_t, Axis_D> Axes_t_D;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int b_first, b_last, b_programs;
    Tensor<const f32, 3> arg_x;
    Tensor<const i32, 1> arg_lengths;
    Tensor<f32, 2> arg_out;
    int dim_B;
    int dim_L;
    int dim_D;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
pooling(const __grid_constant__ Arguments args) {
    // for b in each(B)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    const int b = args.b_first + int(program % unsigned(args.b_programs));
    program /= unsigned(args.b_programs);
    Axis_D D;
    D.at(0, args.dim_D);
    Axis_t t;
    (void)program;
    Tile<f32, Axes_D> acc;
    const i32 v7 = args.arg_lengths.data[args.arg_lengths.stride[0] * i64(b)];
    each(Axes_D, i) {
        const f32 v4 = 0e0f;
        // let mut acc = zeros::<f32> (D);
        acc[i] = v4;
    }
    // for t in tile(L, 0..lengths[b])
    const int t_first = 0, t_last = min_of(v7, args.dim_L);
    for (int t_at = t_first; t_at < t_last; t_at += Axis_t::step) {
        t.at(t_at, t_last);
        Tile<f32, Axes_t_D> v9;
        load<TW_VECTOR_0>(true, v9, args.arg_x.data + args.arg_x.stride[0] * i64(b), cast<f32>(0.0f), along(args.arg_x.stride[1], t), along(args.arg_x.stride[2], D));
        Tile<f32, Axes_D> v10;
        reduce<false>(v10, v9, t, cast<f32>(0.0f), shared + TW_AT_0,
                      [](f32 a, f32 b) { return add(a, b); });
        each(Axes_D, i) {
            const f32 v11 = acc[i];
            const f32 v12 = (v11 + v10[i]);
            // acc += x[(b, t, ..)].sum(t);
            acc[i] = v12;
        }
    }
    const i32 v15 = args.arg_lengths.data[args.arg_lengths.stride[0] * i64(b)];
    const i32 v17 = max_of(v15, 1);
    const f32 v18 = cast<f32>(v17);
    Tile<f32, Axes_D> v19;
    each(Axes_D, i) {
        const f32 v13 = acc[i];
        v19[i] = (v13 / v18);
    }
    // out[(b, ..)] = acc / max(lengths[b], 1).cast::<f32> ();
    store<TW_VECTOR_1>(true, v19, args.arg_out.data + args.arg_out.stride[0] * i64(b), along(args.arg_out.stride[1], D));
}
