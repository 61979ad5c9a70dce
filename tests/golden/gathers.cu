// gathers
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_D>, TW_STEP_D, TW_EVEN_D> Axis_D;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_D> Axes_D;
typedef Axes<Axis_m, Axis_D> Axes_m_D;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    Tensor<const f32, 2> arg_table;
    Tensor<const i32, 1> arg_ids;
    Tensor<const i64, 2> arg_columns;
    Tensor<f32, 2> arg_rows;
    Tensor<f32, 2> arg_lanes;
    Tensor<f32, 2> arg_grouped_of_kernel;
    int dim_V;
    int dim_M;
    int dim_D;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
gathers(const __grid_constant__ Arguments args) {
    // for m in tile(M)
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    Axis_D D;
    D.at(0, args.dim_D);
    (void)program;
    Tile<i32, Axes_m> v0;
    load<TW_VECTOR_0>(true, v0, args.arg_ids.data, cast<i32>(0.0f), along(args.arg_ids.stride[0], m));
    Tile<f32, Axes_m_D> v1;
    each(Axes_m_D, i) v1[i] = (m.has(Axes_m_D::of<Axis_m>(i)) && D.has(Axes_m_D::of<Axis_D>(i)) && inside(i64(v0.of<Axes_m_D>(i)), args.dim_V, args.fault, args.launch, 0, 0) ? args.arg_table.data[args.arg_table.stride[0] * i64(v0.of<Axes_m_D>(i)) + args.arg_table.stride[1] * i64(D.index(Axes_m_D::of<Axis_D>(i)))] : cast<f32>(0.0f));
    sync_program();
    // rows[(m, ..)] = table[(ids[m], ..)];
    store<TW_VECTOR_1>(true, v1, args.arg_rows.data, along(args.arg_rows.stride[0], m), along(args.arg_rows.stride[1], D));
    Tile<i32, Axes_m> v2;
    load<TW_VECTOR_0>(true, v2, args.arg_ids.data, cast<i32>(0.0f), along(args.arg_ids.stride[0], m));
    Tile<i64, Axes_m_D> v3;
    load<TW_VECTOR_2>(true, v3, args.arg_columns.data, cast<i64>(0.0f), along(args.arg_columns.stride[0], m), along(args.arg_columns.stride[1], D));
    Tile<f32, Axes_m_D> v4;
    each(Axes_m_D, i) v4[i] = (m.has(Axes_m_D::of<Axis_m>(i)) && D.has(Axes_m_D::of<Axis_D>(i)) && inside(i64(v2.of<Axes_m_D>(i)), args.dim_V, args.fault, args.launch, 0, 0) && inside(i64(v3[i]), args.dim_D, args.fault, args.launch, 0, 1) ? args.arg_table.data[args.arg_table.stride[0] * i64(v2.of<Axes_m_D>(i)) + args.arg_table.stride[1] * i64(v3[i])] : cast<f32>(0.0f));
    sync_program();
    // lanes[(m, ..)] = table[(ids[m], columns[(m, ..)])];
    store<TW_VECTOR_3>(true, v4, args.arg_lanes.data, along(args.arg_lanes.stride[0], m), along(args.arg_lanes.stride[1], D));
    Tile<i32, Axes_m> v5;
    load<TW_VECTOR_0>(true, v5, args.arg_ids.data, cast<i32>(0.0f), along(args.arg_ids.stride[0], m));
    Tile<i32, Axes_D> v8;
    each(Axes_D, i) v8[i] = quotient(D.index(Axes_D::of<Axis_D>(i)), 4);
    Tile<f32, Axes_m_D> v9;
    each(Axes_m_D, i) v9[i] = (m.has(Axes_m_D::of<Axis_m>(i)) && D.has(Axes_m_D::of<Axis_D>(i)) && inside(i64(v5.of<Axes_m_D>(i)), args.dim_V, args.fault, args.launch, 0, 0) && inside(i64(v8.of<Axes_m_D>(i)), args.dim_D, args.fault, args.launch, 0, 1) ? args.arg_table.data[args.arg_table.stride[0] * i64(v5.of<Axes_m_D>(i)) + args.arg_table.stride[1] * i64(v8.of<Axes_m_D>(i))] : cast<f32>(0.0f));
    sync_program();
    // grouped[(m, ..)] = table[(ids[m], D.index() / 4)];
    store<TW_VECTOR_4>(true, v9, args.arg_grouped_of_kernel.data, along(args.arg_grouped_of_kernel.stride[0], m), along(args.arg_grouped_of_kernel.stride[1], D));
}
